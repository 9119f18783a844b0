"""What people look at outside the page: plots and the HTML report."""
