"""The plots of a report; each module draws one kind."""
