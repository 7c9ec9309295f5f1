-- The slices that decisions and deliveries read. {run}, {task}, … are the columns of the
-- records (dwserver/store/columns.py).

-- name: load_runs
-- Runs; $1: array of run ids.
select {run}
from runs r
where id in (select value from json_each($1))

-- name: load_tasks
-- Their open tasks: the ready ones, then the leased ones, each by an index of its own.
select {task}
from tasks t
where run_id in (select value from json_each($1))
and ready_at is not null
union all
select {task}
from tasks t
where run_id in (select value from json_each($1))
and status = 'leased'

-- name: load_activities
-- Their open and held activities, and all members of their newest batches.
select {activity}
from json_each($1) k
join runs r on r.id = k.value
join activities a on a.run_id = r.id and a.step >= r.batch_first
where r.batch_size > 0
union all
select {activity}
from json_each($1) k
join runs r on r.id = k.value
join activities a on a.run_id = r.id
where (a.is_held or a.status in ('pending', 'running'))
and (r.batch_size = 0 or a.step < r.batch_first)
order by step

-- name: load_timers
-- Their pending and held timers, and all members of their newest batches. The key
-- would serve as well, but it passes all timers that a run ever had.
select {timer}
from json_each($1) k
join runs r on r.id = k.value
join timers m on m.run_id = r.id and m.step >= r.batch_first
where r.batch_size > 0
union all
select {timer}
from json_each($1) k
join runs r on r.id = k.value
join timers m indexed by timers_open on m.run_id = r.id
where (m.is_held or m.status = 'pending')
and (r.batch_size = 0 or m.step < r.batch_first)
order by step

-- name: load_children
-- Their open and held children, and all members of their newest batches.
select {child}
from json_each($1) k
join runs r on r.id = k.value
join children c on c.run_id = r.id and c.step >= r.batch_first
where r.batch_size > 0
union all
select {child}
from json_each($1) k
join runs r on r.id = k.value
join children c indexed by children_open on c.run_id = r.id
where (c.is_held or c.status in ('scheduled', 'started'))
and (r.batch_size = 0 or c.step < r.batch_first)
order by step

-- name: load_waits
-- Their open and held waits, and all members of their newest batches.
select {wait}
from json_each($1) k
join runs r on r.id = k.value
join waits w on w.run_id = r.id and w.step >= r.batch_first
where r.batch_size > 0
union all
select {wait}
from json_each($1) k
join runs r on r.id = k.value
join waits w indexed by waits_open on w.run_id = r.id
where (w.is_held or w.status = 'open')
and (r.batch_size = 0 or w.step < r.batch_first)
order by step

-- name: load_signals
-- Their signals that are not applied yet. The key would pass all that they ever had.
select {signal}
from signals s indexed by signals_open
where run_id in (select value from json_each($1))
and status = 'received'
order by sequence

-- name: load_updates
-- Their updates that are not closed yet.
select {update}
from updates u indexed by updates_open
where run_id in (select value from json_each($1))
and status = 'accepted'
order by sequence

-- name: list_run_inputs
-- What runs were started with; $1: array of run ids.
select
    id,
    arguments_codec,
    arguments,
    memo,
    search_attributes,
    business_key
from runs
where id in (select value from json_each($1))

-- name: list_activity_arguments
-- Arguments of activities; $1: array of activity ids.
select
    id,
    arguments_codec,
    arguments
from activities
where id in (select value from json_each($1))

-- name: list_history
-- Events after $2 and up to $3; held ones have negative sequences.
select
    sequence,
    id,
    event_type,
    payload,
    recorded_at,
    has_plain,
    task_id,
    command_id
from history_events
where run_id = $1
and sequence > max($2, 0)
and sequence <= $3
order by sequence
limit $4
