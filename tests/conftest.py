from hypothesis import HealthCheck, settings

# Time belongs in benchmarks: a busy machine must not fail a property.
settings.register_profile("zenith", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("zenith")
