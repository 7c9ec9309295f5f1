-- Everything about one run, whatever its status: what an export takes along.

-- name: list_activities_of_run
-- All activities of a run, in order.
select
    {activity}
from activities a
where a.run_id = $1
order by a.step

-- name: list_timers_of_run
-- All timers of a run, in order.
select
    {timer}
from timers m
where m.run_id = $1
order by m.step

-- name: list_children_of_run
-- All children of a run, in order.
select
    {child}
from children c
where c.run_id = $1
order by c.step

-- name: list_waits_of_run
-- All waits of a run, in order.
select
    {wait}
from waits w
where w.run_id = $1
order by w.step

-- name: list_signals_of_run
-- All signals of a run, in order.
select
    {signal}
from signals s
where s.run_id = $1
order by s.sequence

-- name: list_updates_of_run
-- All updates of a run, in order.
select
    {update}
from updates u
where u.run_id = $1
order by u.sequence

-- name: list_tasks
-- Tasks by their ids, whatever their status.
select {task}
from tasks t
where t.id in (select value from json_each($1))
order by t.created_at, t.id

-- name: list_closed_attempts
-- Attempts that have ended, by their ids.
select
    p.id,
    p.activity_id,
    p.task_id,
    p.run_id,
    p.number,
    p.status,
    p.lease_owner,
    p.started_at,
    p.closed_at
from activity_attempts p
where p.id in (select value from json_each($1))
order by p.started_at, p.id
