-- Figures for operators. Every block reads one range of an index, up to a bound ($2);
-- what lies behind the bound is not counted.

-- name: count_closed_runs
-- Closed runs of a namespace by reason, the newest first: neither archived nor pruned.
select
    w.closed_reason,
    count(*) as runs
from (
    select r.closed_reason
    from runs r
    where r.namespace = $1
    and r.closed_at is not null
    and r.archived_at is null
    and r.pruned_at is null
    order by r.closed_at desc, r.id desc
    limit $2
) w
group by w.closed_reason

-- name: count_archived_runs
-- Archived runs of a namespace by reason.
select
    w.closed_reason,
    count(*) as runs
from (
    select r.closed_reason
    from runs r
    where r.namespace = $1
    and r.archived_at is not null
    limit $2
) w
group by w.closed_reason

-- name: count_superseded_runs
-- Runs of a namespace, not pruned, that another run of their workflow id followed.
with x as (
    select
        r.id,
        r.workflow_id,
        r.pruned_at
    from runs r
    where r.namespace = $1
    and r.sibling_of is not null
    limit $2
)
select (
    select count(*)
    from x
    where x.pruned_at is null
    and x.id <> (
        select i.current_run_id
        from instances i
        where i.namespace = $1
        and i.workflow_id = x.workflow_id
    )
) + (
    select count(*)
    from (select distinct x.workflow_id from x) k
    where (
        select r.pruned_at is null and i.current_run_id <> r.id
        from instances i
        join runs r on r.id = i.first_run_id
        where i.namespace = $1
        and i.workflow_id = k.workflow_id
    )
) as runs

-- name: sum_ready_tasks
-- Ready tasks of a namespace: all that any worker gets, and those with a marker by
-- queue and marker. $3: now, $4: what was due then is overdue.
select
    case when w.compatibility is null then null else w.queue end as queue,
    w.compatibility,
    count(*) as tasks,
    count(*) filter (where w.ready_at <= $3) as due,
    min(w.ready_at) filter (where w.ready_at <= $3) as oldest_due_at,
    count(*) filter (where w.ready_at <= $4) as overdue,
    min(w.ready_at) filter (where w.ready_at <= $4) as oldest_overdue_at,
    max(w.attempt) as max_attempt,
    max(w.repair_count) as max_repairs,
    count(distinct case when w.compatibility is not null then w.run_id end)
        as marked_runs
from (
    select
        t.queue,
        t.compatibility,
        t.ready_at,
        t.attempt,
        t.repair_count,
        t.run_id
    from tasks t
    where t.namespace = $1
    and t.ready_at is not null
    limit $2
) w
group by 1, 2

-- name: sum_leased_tasks
-- Leased tasks of a namespace; leases that are over now ($3), and their runs.
select
    count(*) as tasks,
    count(*) filter (where w.lease_expires_at <= $3) as expired,
    min(w.lease_expires_at) filter (where w.lease_expires_at <= $3)
        as oldest_expired_at,
    coalesce(max(w.attempt), 0) as max_attempt,
    coalesce(max(w.repair_count), 0) as max_repairs,
    count(distinct r.id) as stuck_runs,
    min(r.last_progress_at) as oldest_stuck_at
from (
    select
        t.run_id,
        t.lease_expires_at,
        t.attempt,
        t.repair_count
    from tasks t
    where t.status = 'leased'
    and t.namespace = $1
    limit $2
) w
left join runs r on r.id = w.run_id and w.lease_expires_at <= $3

-- name: count_recent_tasks
-- Tasks of a namespace by queue and kind that were made, or leased, since $3, among the
-- last ones that were made; $4, $5: ids tell when.
select
    w.queue,
    w.kind,
    count(*) filter (where w.created_at >= $3) as added,
    count(*) filter (where w.leased_at >= $3) as dispatched
from (
    select
        t.namespace,
        t.queue,
        t.kind,
        t.created_at,
        t.leased_at
    from tasks t
    where t.id >= $4
    and t.id < $5
    order by t.id desc
    limit $2
) w
where w.namespace = $1
group by w.queue, w.kind

-- name: count_first_tasks
-- Workflow tasks of a namespace that are due now ($3) and whose run no worker has seen.
select count(*) as tasks
from (
    select t.run_id
    from tasks t
    where t.namespace = $1
    and t.ready_at is not null
    and t.ready_at <= $3
    and t.kind = 'workflow'
    limit $2
) w
join runs r on r.id = w.run_id
where r.status = 'pending'

-- name: count_failed_attempts
-- Failed attempts of activities of a namespace, among the last ones of all.
select
    count(*) as attempts,
    coalesce(max(w.number), 0) as max_number
from (
    select
        p.run_id,
        p.number
    from activity_attempts p
    where p.status = 'failed'
    order by p.run_id desc
    limit $2
) w
where (select r.namespace from runs r where r.id = w.run_id) = $1

-- name: sum_closed_histories
-- Histories of the closed runs of a namespace that closed last.
select
    cast(coalesce(sum(w.last_sequence), 0) as bigint) as events,
    coalesce(max(w.last_sequence), 0) as max_events,
    coalesce(max(w.history_bytes), 0) as max_bytes
from (
    select
        r.last_sequence,
        r.history_bytes
    from runs r
    where r.namespace = $1
    and r.closed_at is not null
    and r.archived_at is null
    and r.pruned_at is null
    order by r.closed_at desc, r.id desc
    limit $2
) w

-- name: sum_open_runs
-- Open runs of a namespace, the oldest first, and their histories; $3, $4: events and
-- bytes from which on a run had better continue as new, $5, $6: from which on it is
-- told so.
select
    count(*) as runs,
    count(*) filter (where w.status = 'pending') as pending,
    min(w.started_at) filter (where w.status = 'pending') as oldest_pending_at,
    count(*) filter (where w.status = 'pending' and w.is_asked_for)
        as pending_commands,
    min(w.started_at) filter (where w.status = 'pending' and w.is_asked_for)
        as oldest_pending_command_at,
    min(w.last_progress_at) as oldest_progress_at,
    cast(coalesce(sum(w.last_sequence), 0) as bigint) as events,
    coalesce(max(w.last_sequence), 0) as max_events,
    coalesce(max(w.history_bytes), 0) as max_bytes,
    coalesce(max(w.batch_size), 0) as max_fan_out,
    count(*) filter (
        where w.last_sequence >= $3 or w.history_bytes >= $4
    ) as over_budget,
    count(*) filter (
        where w.last_sequence < $3
        and w.history_bytes < $4
        and (w.last_sequence >= $5 or w.history_bytes >= $6)
    ) as near_budget
from (
    select
        r.status,
        r.started_at,
        r.last_progress_at,
        r.last_sequence,
        r.history_bytes,
        r.batch_size,
        r.parent_run_id is null and r.continued_from_run_id is null as is_asked_for
    from runs r
    where r.namespace = $1
    and r.status_bucket = 'running'
    order by r.started_at, r.id
    limit $2
) w

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
        p.status,
        p.attempt_count,
        p.started_at,
        case
            when p.own_end <= p.close_end and p.own_end <= p.last_end then p.own_end
            when p.close_end <= p.last_end then p.close_end
            else p.last_end
        end as overdue_since
    from (
        select
            c.status,
            c.attempt_count,
            c.started_at,
            coalesce(
                case
                    when c.status = 'pending' then c.schedule_deadline_at
                    else c.heartbeat_deadline_at
                end,
                9223372036854775807
            ) as own_end,
            coalesce(
                case when c.status = 'running' then c.close_deadline_at end,
                9223372036854775807
            ) as close_end,
            coalesce(c.schedule_to_close_deadline_at, 9223372036854775807) as last_end
        from x
        join activities c on c.id = x.activity_id
        where c.status in ('pending', 'running')
    ) p
) a
