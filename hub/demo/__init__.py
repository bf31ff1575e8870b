"""`siarhub demo`: the whole chain in a temporary folder, told as it happens and judged from outside, as a user would.

It plays the user, so it may start the plugins' helpers (a broker, a playout, a listener); the hub itself never does.
"""
