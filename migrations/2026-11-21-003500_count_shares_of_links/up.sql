-- Links counted a conversion when it was credited first, and kept that when its credit went elsewhere: they are counted again, once.
update links l set conversion_count = coalesce(n.count, 0)
from links o
left join (
    select t.brand_id, t.link_id, count(distinct r.conversion_id) as count
    from attribution_records r
    join touchpoints t on t.brand_id = r.brand_id and t.id = r.touchpoint_id
    where r.superseded_at is null and t.link_id is not null
    group by t.brand_id, t.link_id
) n on n.brand_id = o.brand_id and n.link_id = o.id
where l.brand_id = o.brand_id and l.id = o.id and l.conversion_count <> coalesce(n.count, 0);
