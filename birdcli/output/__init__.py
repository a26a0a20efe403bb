"""Files of records that survive any end of a run."""
