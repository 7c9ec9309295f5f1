"""W9b: many schedules of the same minute."""
