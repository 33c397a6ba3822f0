drop table member_moves;
drop table member_activity_days;
drop table member_downlines;

-- Paths as they were: the child of a full path opens a segment of its own, which names the path of its referrer.
create table member_segments (
    brand_id uuid not null,
    root_member_id uuid not null,
    parent_path ltree not null,
    constraint member_segments_pkey primary key (brand_id, root_member_id),
    constraint member_segments_root_member_id_fkey foreign key (brand_id, root_member_id)
    references members (brand_id, id) on delete cascade
);
create index member_segments_parent_path_idx on member_segments (brand_id, parent_path);

with recursive branch as (
    select m.brand_id, m.id, m.path, null::ltree as parent_path from members m where m.depth = 63
    union all
    select
        m.brand_id,
        m.id,
        case when nlevel(b.path) >= 64 then subpath(m.path, -1) else b.path || subpath(m.path, -1) end,
        case when nlevel(b.path) >= 64 then b.path end
    from branch b join members m on m.brand_id = b.brand_id and m.referrer_id = b.id
),

opened as (
    insert into member_segments (brand_id, root_member_id, parent_path)
    select b.brand_id, b.id, b.parent_path from branch b where b.parent_path is not null
)

update members m set path = b.path from branch b where m.brand_id = b.brand_id and m.id = b.id and m.path <> b.path;

drop index members_anchors_idx;
drop index members_path_idx;
create index members_path_idx on members (brand_id, depth, path);
alter table members drop column last_active_at, drop column value_minor, drop column is_anchor;
