-- Figures for operators. Every block reads one range of an index, up to a bound ($2);
-- what lies behind the bound is not counted.

-- name: sum_open_activities
-- Open activities of a namespace, by their tasks; $3: now.
with x as (
    select w.activity_id from (
        select t.activity_id
        from tasks t
        where t.namespace = $1
        and t.ready_at is not null
        and t.kind = 'activity'
        limit $2
    ) w
    union all
    select k.activity_id from (
        select t.activity_id
        from tasks t
        where t.status = 'leased'
        and t.namespace = $1
        and t.kind = 'activity'
        limit $2
    ) k
)
select
    count(*) filter (where a.status = 'pending') as pending,
    count(*) filter (where a.status = 'running') as running,
    count(*) filter (where a.status = 'pending' and a.attempt_count > 0) as retrying,
    min(a.started_at) filter (where a.status = 'pending' and a.attempt_count > 0)
        as oldest_retrying_at,
    coalesce(max(a.attempt_count), 0) as max_attempt,
    count(*) filter (where a.overdue_since <= $3) as overdue,
    min(a.overdue_since) filter (where a.overdue_since <= $3) as oldest_overdue_at
from (
    select
        c.status,
        c.attempt_count,
        c.started_at,
        min(
            coalesce(c.schedule_to_close_deadline_at, 9223372036854775807),
            case when c.status = 'pending'
                then coalesce(c.schedule_deadline_at, 9223372036854775807) else 9223372036854775807 end,
            case when c.status = 'running'
                then coalesce(c.close_deadline_at, 9223372036854775807) else 9223372036854775807 end,
            case when c.status = 'running'
                then coalesce(c.heartbeat_deadline_at, 9223372036854775807) else 9223372036854775807 end
        ) as overdue_since
    from x
    join activities c on c.id = x.activity_id
    where c.status in ('pending', 'running')
) a

-- name: list_failing_types
-- Workflow types of a namespace with open runs whose workflow task keeps failing, the
-- worst $3 of them, and how many types and runs there are.
select
    x.workflow_type,
    x.failures,
    x.runs,
    count(*) over () as all_types,
    sum(x.runs) over () as all_runs
from (
    select
        w.workflow_type,
        max(w.task_failures) as failures,
        count(*) as runs
    from (
        select
            r.workflow_type,
            r.task_failures
        from runs r indexed by runs_failing
        where r.namespace = $1
        and r.status_bucket = 'running'
        and r.task_failures > 0
        limit $2
    ) w
    group by w.workflow_type
) x
order by x.failures desc, x.workflow_type
limit $3
