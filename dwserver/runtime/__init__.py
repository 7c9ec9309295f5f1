"""What every process needs, whatever it serves: services and their supervisor,
clock, ids, signals, logging and metrics. Takes plain values, never settings.
"""
