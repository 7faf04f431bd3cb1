"""The demo: a small net, the same in every framework, with ZENITH and with schedules."""
