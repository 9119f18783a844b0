"""How the site is built: ``make docs``. Nothing in it, formulas included, is another host's."""

import sys
from pathlib import Path

from clv import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "clv"
release = version = __version__
copyright = "the authors of clv"  # the name that Sphinx reads  # noqa: A001
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "myst_nb",
    "formulas",
    "references",
]
exclude_patterns = ["_build"]
suppress_warnings: list[str] = []  # a warning is an error, see the Makefile

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

# Notebooks are kept as text and run whenever the site is built; an error in one ends the build.
nb_execution_mode = "auto"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_in_temp = True
nb_merge_streams = True

napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_typehints = "none"  # the sections say it in words
autodoc_member_order = "bysource"
autodoc_default_options = {"inherited-members": "BaseEstimator, tuple, dict, Exception"}
python_maximum_signature_line_length = 88

html_theme = "pydata_sphinx_theme"
html_title = "clv"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_end": [],
}
