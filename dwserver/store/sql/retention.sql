-- Retention: closed runs and schedules that are old enough, and what goes with them.

-- name: list_expired_runs
-- Closed runs of a namespace that nobody archived or pruned and that closed before $2,
-- the oldest first, behind ($3, $4).
select
    r.id,
    r.closed_at,
    r.last_sequence
from runs r
where r.namespace = $1
and r.closed_at is not null
and r.archived_at is null
and r.pruned_at is null
and r.closed_at < $2
and (r.closed_at, r.id) > ($3, $4)
order by r.closed_at, r.id
limit $5

-- name: list_schedule_ages
-- A page of all schedules by id, and where the history of each begins.
select
    s.id,
    s.namespace,
    s.deleted_at,
    s.last_event_sequence as last_sequence,
    (
        select e.sequence
        from schedule_events e
        where e.schedule_id = s.id
        order by e.sequence
        limit 1
    ) as first_sequence,
    (
        select e.recorded_at
        from schedule_events e
        where e.schedule_id = s.id
        order by e.sequence
        limit 1
    ) as first_recorded_at
from schedules s
where s.id > $1
order by s.id
limit $2

-- name: prune_schedule_occurrences
-- What a schedule has fired for times before its history begins.
delete from schedule_occurrences
where schedule_id = $1
and kind in ('backfill', 'manual', 'tick')
and nominal_at < coalesce(
    (
        select e.recorded_at
        from schedule_events e
        where e.schedule_id = $1
        order by e.sequence
        limit 1
    ),
    9223372036854775807
)

-- name: prune_schedule_events
-- The beginning of a history, at most $5 events and none beyond $4: all up to $3, then
-- those before the first one that is not older than $2. So no gap arises.
with head as (
    select
        e.sequence,
        e.recorded_at
    from schedule_events e
    where e.schedule_id = $1
    and e.sequence <= $4
    order by e.sequence
    limit $5
)
delete from schedule_events
where schedule_id = $1
and sequence <= (
    select max(h.sequence)
    from head h
)
and sequence < coalesce(
    (
        select min(h.sequence)
        from head h
        where h.sequence > $3
        and h.recorded_at >= $2
    ),
    cast($4 as bigint) + 1
)
returning sequence

-- name: forget_schedule
-- A schedule that was deleted and has no history any more.
delete from schedules
where id = $1
and status = 'deleted'
and not exists (
    select 1
    from schedule_events e
    where e.schedule_id = $1
)
returning id
