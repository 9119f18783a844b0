"""Is the model still right? What came since the as-of date against what was expected, and drift."""

from clv.monitoring.checks import monitor
from clv.monitoring.monitor_report import Check, MonitorReport, Thresholds

__all__ = ["Check", "MonitorReport", "Thresholds", "monitor"]
