# One image for every process class; DW_SERVER_PROCESS_CLASS says which one it is.
# Build: docker build -t dwserver:local .
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md ./
COPY dwserver dwserver
RUN python -m venv /opt/dwserver \
    && /opt/dwserver/bin/pip install --no-cache-dir --disable-pip-version-check \
        ".[execution,s3]"

FROM python:3.12-slim
RUN groupadd --system --gid 10001 dwserver \
    && useradd --system --uid 10001 --gid 10001 --no-create-home \
        --home-dir /nonexistent --shell /usr/sbin/nologin dwserver
COPY --from=build /opt/dwserver /opt/dwserver
ENV PATH=/opt/dwserver/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DW_HTTP_HOST=0.0.0.0 \
    DW_HTTP_PORT=8080
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
# Liveness only: whether a node may get traffic is for the load balancer (/api/ready).
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['DW_HTTP_PORT']), timeout=2); c.request('GET', '/api/health'); sys.exit(c.getresponse().status != 200)"]
# Python handles SIGTERM itself and starts no process that it would have to reap.
ENTRYPOINT ["python", "-m", "dwserver"]
CMD ["serve"]
