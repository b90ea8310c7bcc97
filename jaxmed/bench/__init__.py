"""Time, cost and roofline of a jitted step."""
