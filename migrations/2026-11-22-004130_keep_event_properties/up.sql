-- What a sender said of a click, an open, an activation, a sale and so on beyond our vocabulary: one text per name, where the brand asks
-- for it to be kept. It stands beside the facts, since few of them have any. Its id is the event's, as that of the fact is.
create table event_properties (
    brand_id uuid not null,
    id uuid not null,
    properties jsonb not null,
    constraint event_properties_pkey primary key (brand_id, id),
    constraint event_properties_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade
);
