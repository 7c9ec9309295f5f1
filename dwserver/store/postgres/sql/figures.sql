-- Figures for operators. Every block reads one range of an index, up to a bound ($2);
-- what lies behind the bound is not counted.

-- name: list_failing_types
-- Workflow types of a namespace with open runs whose workflow task keeps failing, the
-- worst $3 of them, and how many types and runs there are.
select
    x.workflow_type,
    x.failures,
    x.runs,
    count(*) over () as all_types,
    (sum(x.runs) over ())::bigint as all_runs
from (
    select
        w.workflow_type,
        max(w.task_failures) as failures,
        count(*) as runs
    from (
        select
            r.workflow_type,
            r.task_failures
        from runs r
        where r.namespace = $1
        and r.status_bucket = 'running'
        and r.task_failures > 0
        limit $2
    ) w
    group by w.workflow_type
) x
order by x.failures desc, x.workflow_type
limit $3
