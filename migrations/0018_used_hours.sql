-- Hours are billed when they were used: a line of its own kind, which is no period that somebody pays ahead.
alter table invoice_items
  drop constraint invoice_items_kind_check,
  add constraint invoice_items_kind_check check (kind in ('setup', 'period', 'use', 'change', 'other'));
