"""An order: reserve (unreliable), wait for approval, charge and notify, pack, done."""
