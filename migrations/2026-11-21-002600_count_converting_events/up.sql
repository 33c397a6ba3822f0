-- A sale that says who led to it is a touch of its own: whether it counts is the policy's to say, and the explanation shows it either way.
alter table touchpoints
    drop constraint touchpoints_kind_check,
    add constraint touchpoints_kind_check check (
        kind in ('CLICK', 'VIEW', 'INSTALL', 'OPEN', 'SIGNUP', 'ACTIVATION', 'CONVERSION')
    );
