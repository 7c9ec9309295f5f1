"""An order: reserve (unreliable), charge and notify in parallel, pause, done."""
