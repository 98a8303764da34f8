"""Pages of HTML that need no other file and no network: what the page of a trace and that of a report share."""
