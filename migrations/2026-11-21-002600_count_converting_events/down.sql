-- Records may name these touches: they stay, as the other kind that never counts.
update touchpoints set kind = 'ACTIVATION' where kind = 'CONVERSION';
alter table touchpoints
    drop constraint touchpoints_kind_check,
    add constraint touchpoints_kind_check check (kind in ('CLICK', 'VIEW', 'INSTALL', 'OPEN', 'SIGNUP', 'ACTIVATION'));
