-- What channels are worth under DATA_DRIVEN, computed anew each time that enough conversions have come. A version is never changed: a conversion
-- names the one that it was judged with, so that the same log makes the same credit.
create table data_driven_models (
    brand_id uuid not null,
    method text not null,
    transform text not null,
    version integer not null,
    -- All conversions that the brand had by then: the next version is due so many later.
    conversion_total bigint not null,
    -- The latest of them, which it was computed from, and the different paths of everybody in their time.
    conversion_count bigint not null,
    path_count bigint not null,
    computed_at timestamptz not null,
    constraint data_driven_models_pkey primary key (brand_id, method, transform, version),
    constraint data_driven_models_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint data_driven_models_method_check check (method in ('MARKOV', 'SHAPLEY')),
    constraint data_driven_models_transform_check check (transform in ('AS_IS', 'UNIQUE', 'FIRST')),
    constraint data_driven_models_version_check check (version > 0)
);

-- A channel is a creator by identifier, '' for members' links together, or '*' for whoever has no row of its own.
create table data_driven_weights (
    brand_id uuid not null,
    method text not null,
    transform text not null,
    version integer not null,
    channel text not null,
    -- Parts of 10^12.
    weight_units bigint not null,
    constraint data_driven_weights_pkey primary key (brand_id, method, transform, version, channel),
    constraint data_driven_weights_version_fkey foreign key (brand_id, method, transform, version)
    references data_driven_models (brand_id, method, transform, version) on delete cascade,
    constraint data_driven_weights_weight_units_check check (weight_units >= 0)
);

-- Null under every other model; 0 where there was no version yet.
alter table conversions add column model_version integer;
alter table conversions add constraint conversions_model_version_check check (model_version >= 0);
-- A touch's own credit is of degree 0, as it was always said to be.
update attribution_records set degree = 0 where degree = 1;
alter table attribution_records add column model_version integer;
alter table attribution_records add constraint attribution_records_model_version_check check (
    (model = 'DATA_DRIVEN') = (model_version is not null) and (model_version is null or model_version >= 0)
);

-- How many conversions a brand ever had: counted with them, since to count them all takes longer with each.
alter table brand_counters drop constraint brand_counters_name_check;
alter table brand_counters add constraint brand_counters_name_check check (
    name in ('members', 'outbox', 'outbox_published', 'conversions')
);
insert into brand_counters (brand_id, name, value)
select brand_id, 'conversions', count(*) from conversions group by brand_id;
