#!/usr/bin/env bash
# Usage: deploy/k8s/apply.sh IMAGE [--with-execution]
# Applies the manifests in the order of a release and waits after each step: settings,
# schema, nodes inside, the edge, workers. The Secret `dwserver` must exist
# (12-secret.template.yaml). Run it again for every release; KUBECTL names the client.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
kubectl=${KUBECTL:-kubectl}
namespace=dwserver
wait=${WAIT:-300s}

image=${1:-}
case $image in
    "" | -*)
        sed -n '2,5s/^# //p' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
esac
with_execution=${2:-}
if [ -n "$with_execution" ] && [ "$with_execution" != --with-execution ]; then
    echo "apply: unknown option $with_execution" >&2
    exit 2
fi

apply() {
    local file
    for file in "$@"; do
        sed "s|image: dwserver:local|image: $image|" "$file" \
            | "$kubectl" apply --namespace "$namespace" --filename -
    done
}

rolled_out() {
    local name
    for name in "$@"; do
        "$kubectl" --namespace "$namespace" rollout status \
            "deployment/dwserver-$name" --timeout "$wait"
    done
}

apply 00-namespace.yaml
if ! "$kubectl" --namespace "$namespace" get secret dwserver >/dev/null; then
    echo "apply: the Secret dwserver is missing; see 12-secret.template.yaml" >&2
    exit 1
fi
apply 10-service-account.yaml 11-config.yaml 13-network-policy.yaml

"$kubectl" --namespace "$namespace" delete job dwserver-bootstrap \
    --ignore-not-found --wait
apply 20-bootstrap.yaml
"$kubectl" --namespace "$namespace" wait job/dwserver-bootstrap \
    --for condition=complete --timeout "$wait"

apply 30-control-plane.yaml 31-matching.yaml 32-history-projection.yaml \
    33-scheduler.yaml
rolled_out control-plane matching history-projection scheduler

apply 40-ingress.yaml
rolled_out ingress

if [ -n "$with_execution" ]; then
    apply 50-execution.yaml
    rolled_out execution
fi
"$kubectl" --namespace "$namespace" get deployments,pods
