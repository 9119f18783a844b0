"""What people look at outside the page: plots and the HTML report."""

from clv.extras import require_extra

require_extra("report", "jinja2")
