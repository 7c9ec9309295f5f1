-- Messages and links of runs (spec/engine.md §1, §8, §9).

create table signals (
    id text not null,
    command_id text not null,
    run_id text not null,
    signal_name text not null,
    signal_wait_id text,
    status text not null,
    arguments_codec text,
    arguments blob,
    step integer,
    received_at integer not null,
    applied_at integer,
    closed_at integer,
    constraint signals_pkey primary key (run_id, id),
    constraint signals_status check (status in ('received', 'applied', 'rejected'))
) strict;

create table updates (
    id text not null,
    command_id text not null,
    run_id text not null,
    update_name text not null,
    status text not null,
    outcome text,
    request_id text,
    arguments_codec text,
    arguments blob,
    result_codec text,
    result blob,
    failure_id text,
    failure_message text,
    step integer,
    accepted_at integer not null,
    applied_at integer,
    closed_at integer,
    constraint updates_pkey primary key (run_id, id),
    constraint updates_status check (
        status in ('accepted', 'rejected', 'completed', 'failed')
    )
) strict;

create table condition_waits (
    id text not null,
    run_id text not null,
    step integer not null,
    kind text not null,
    status text not null,
    name text,
    condition_key text,
    fingerprint text,
    timer_step integer,
    opened_at integer not null,
    closed_at integer,
    constraint condition_waits_pkey primary key (run_id, step),
    constraint condition_waits_kind check (kind in ('condition', 'signal')),
    constraint condition_waits_status check (
        status in ('open', 'satisfied', 'timed_out', 'closed')
    )
) strict;

create table child_links (
    id text not null,
    link_type text not null,
    namespace text not null,
    parent_workflow_id text not null,
    parent_run_id text not null,
    step integer,
    child_workflow_id text not null,
    child_run_id text not null,
    status text not null,
    parent_close_policy text,
    retry_policy blob,
    parallel blob,
    created_at integer not null,
    closed_at integer,
    constraint child_links_pkey primary key (parent_run_id, child_run_id),
    constraint child_links_type check (
        link_type in ('child_workflow', 'continue_as_new')
    ),
    constraint child_links_status check (status in (
        'scheduled', 'started', 'completed',
        'failed', 'cancelled', 'terminated', 'abandoned'
    )),
    constraint child_links_policy check (
        parent_close_policy in ('abandon', 'request_cancel', 'terminate')
    )
) strict;

create table search_attribute_definitions (
    namespace text not null,
    name text not null,
    value_type text not null,
    created_at integer not null,
    constraint search_attribute_definitions_pkey primary key (namespace, name)
) strict;
