-- Parts of the commit statement (commit.sql): what lists find runs by.

-- name: delete_attributes
-- Values that runs have no more; what stays is not touched.
delete from run_attributes a
using unnest($1::kept_attributes_row[]) x
where a.run_id = x.run_id
and (a.name || '=' || a.kind || '=' || a.term) <> all (x.kept)
and {applies}

-- name: insert_attributes
-- Values of runs that they do not have yet.
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
select
    x.run_id,
    x.name,
    x.kind,
    x.term,
    x.namespace,
    x.started_at,
    x.whole,
    x.number
from unnest($1::attribute_row[]) x
where {applies}
on conflict do nothing
