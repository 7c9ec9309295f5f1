-- What a commit writes (commit.sql): what lists find runs by.

-- name: delete_attributes
-- The values of runs, which are then written again.
with x (run_id) as (values {rows})
delete from run_attributes
where run_id in (select x.run_id from x)

-- name: insert_attributes
-- Values of runs.
insert into run_attributes (
    run_id,
    name,
    kind,
    term,
    namespace,
    started_at,
    whole,
    number
)
values {rows}
