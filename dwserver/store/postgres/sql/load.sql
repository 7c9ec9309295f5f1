-- Loads: the slices that decisions read. {run}, {task}, … are the columns of the records
-- (dwserver/store/columns.py); rows come as arrays of the row types, so that one
-- statement answers for many runs.

-- name: load_runs
-- The hot state of runs.
select
    {run},
    array({load_tasks}) as tasks,
    array({load_activities}) as activities,
    array({load_timers}) as timers,
    array({load_children}) as children,
    array({load_waits}) as waits,
    array({load_signals}) as signals,
    array({load_updates}) as updates
from runs r
where r.id = any($1::text[])

-- name: load_tasks
-- Open tasks of a run.
select row(0, {task})::task_row
from tasks t
where t.run_id = r.id
and t.ready_at is not null
union all
select row(0, {task})::task_row
from tasks t
where t.run_id = r.id
and t.status = 'leased'

-- name: load_activities
-- Open and held activities of a run, and the members of its newest batch.
select row(0, {activity}, null, null, null)::activity_row
from activities a
where a.run_id = r.id
and r.batch_size > 0
and a.step >= r.batch_first
union all
select row(0, {activity}, null, null, null)::activity_row
from activities a
where a.run_id = r.id
and (a.is_held or a.status in ('pending', 'running'))
and (r.batch_size = 0 or a.step < r.batch_first)

-- name: load_timers
-- Pending and held timers of a run, and the members of its newest batch.
select row(0, {timer})::timer_row
from timers m
where m.run_id = r.id
and r.batch_size > 0
and m.step >= r.batch_first
union all
select row(0, {timer})::timer_row
from timers m
where m.run_id = r.id
and (m.is_held or m.status = 'pending')
and (r.batch_size = 0 or m.step < r.batch_first)

-- name: load_children
-- Open and held children of a run, and the members of its newest batch.
select row(0, {child})::child_row
from children c
where c.run_id = r.id
and r.batch_size > 0
and c.step >= r.batch_first
union all
select row(0, {child})::child_row
from children c
where c.run_id = r.id
and (c.is_held or c.status in ('scheduled', 'started'))
and (r.batch_size = 0 or c.step < r.batch_first)

-- name: load_waits
-- Open and held waits of a run, and the members of its newest batch.
select row(0, {wait})::wait_row
from waits w
where w.run_id = r.id
and r.batch_size > 0
and w.step >= r.batch_first
union all
select row(0, {wait})::wait_row
from waits w
where w.run_id = r.id
and (w.is_held or w.status = 'open')
and (r.batch_size = 0 or w.step < r.batch_first)

-- name: load_signals
-- Signals of a run that are not applied yet.
select row(0, {signal})::signal_row
from signals s
where s.run_id = r.id
and s.status = 'received'

-- name: load_updates
-- Updates of a run that are not closed yet.
select row(0, {update})::update_row
from updates u
where u.run_id = r.id
and u.status = 'accepted'

-- name: list_run_inputs
-- What runs were started with.
select r.id, {input}
from runs r
where r.id = any($1::text[])

-- name: list_activity_arguments
-- Arguments of activities.
select
    a.id,
    a.arguments_codec,
    a.arguments
from activities a
where a.id = any($1::text[])

-- name: list_history
-- Of each run the events after one sequence and up to another, at most so many; held
-- ones are below zero.
select
    k.n,
    e.id,
    e.sequence,
    e.event_type,
    e.payload,
    e.recorded_at,
    e.has_plain,
    e.task_id,
    e.command_id
from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
    with ordinality k(run_id, after, upto, most, n)
cross join lateral (
    select
        c.id,
        c.sequence,
        c.event_type,
        c.payload,
        c.recorded_at,
        c.has_plain,
        c.task_id,
        c.command_id
    from history_events c
    where c.run_id = k.run_id
    and c.sequence > greatest(k.after, 0)
    and c.sequence <= k.upto
    order by c.sequence
    limit k.most
) e
