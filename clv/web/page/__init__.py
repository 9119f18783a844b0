"""The marketing page: rooms drawn on the server from the store that is published.

::

    tables.py     Headline, Empty, Order, links: what a room hands to its template; Chart and Table
                  are those of clv.report.charts
    frame.py      room(), error_page(), login_page(): who looks, from which store, in which theme
    static.py     style sheet, script and icon, stored by browsers until they change
    routes.py     mount_page(app, stores): rooms, static files, theme, errors for people
    budget_form.py, retention_form.py   forms, and what they ask for
    model_report.py                     what documents and the log say, shared by rooms
    timeline.py, curves.py, sliders.py  charts of a customer, charts of plans, sliders
    overview_answers.py   the first screen: who matters, whom to keep, where to spend, how sure
    jobs.py       uploads: their routes; job_view.py what is shown, job_forms.py what forms say
    kept_file.py  what planners save under a name: saved_segments.py, saved_plans.py
    overview.py, trust.py ...   one room, one file; its templates have its name. Large parts stand
                  beside it: accuracy, model_card (Trust), customer_forecasts, _action

A new room
----------
1. ``clv/web/page/NAME.py`` with ``router``, ``ROOM = Room(NAME, "/NAME", "Label", router)``, a
   route that returns ``await room(request, "NAME.html", content, title=..., active=NAME)``, and
   ``content(store, page)``, which gives the values of the template. It runs in a thread, with the
   store borrowed for this request: never keep the store. ``page.address`` is the path with its
   query, ``page.visitor`` says who looks (``.role``), ``page.has("trust")`` whether to link there.
2. ``templates/page/NAME.html``: ``{% extends "page/frame.html" %}``, blocks ``lead`` and
   ``content``, each part a ``<section aria-labelledby>`` with an ``<h2 id>``, parts beside each
   other in ``<div class="columns">`` or ``"wide-narrow"``. The macros are there
   as ``ui``: ``headlines, table, figure, legend, notes, empty, filters, field, between, choice,
   choices, pagination, download, chip``; sliders are ``dial`` in ``plans.html``.
3. An entry in ``ROOMS`` of ``routes.py``. Who may enter is said by ``clv.web.access.roles``; the
   navigation shows the rooms that the visitor may enter.

What holds in every room
------------------------
- Figures are written by ``words`` in Python, not in templates. A missing one is ``NONE``, and why
  it is missing stands beside it. Each says its unit, horizon or scope; ``Headline`` and ``Note``
  have a chip that tells measured, assumed and estimated apart.
- A chart is a ``Chart`` of ``clv.report.charts``: a title, a sentence for screen readers, and the
  same numbers as a ``Table``. Colours are classes, ``tone-1`` to ``tone-6`` (1 is ours or
  expected, 2 is actual, 6 is a reference); no ``style`` and no inline script
  pass the content security policy.
- Where there is nothing to show stands an ``Empty``: what, why, and what to do. A wrong address
  raises ``InputError`` (422 with its hint), an unknown customer ``LookupError`` (404).
- Reading is GET, and its state is the address: filters are named as in ``store.Filter`` (prefix,
  tiers, channels, cohorts, recency_from and _to, churn_from and _to in percent, value_from and
  _to), order is ``sort`` and ``order``, the page is ``page``. Other rooms link so:
  ``/customers?tiers=top+1%25``.
- Doing is POST by a form that carries ``csrf`` (``page.csrf``): ``ui.download`` or your own.
- Without the script all works by reloading. With it, forms and links marked ``data-live`` exchange
  what is in ``#results``, or all of ``<main>`` where there is none. The form itself stays, so that
  a slider can be drawn on while answers come in: put it before ``#results``, and give each field an
  id or a name. Its fields, and text marked ``data-text``, then take what the answer says. Mark the
  sentence that says what was found ``data-said``, and it is read out.
- Nothing walks over all customers: take ``segments``, ``totals`` and documents.

Documents that are shown, where they were published: model_card, concentration and data_report
(made by ``publish``), total (``Total.to_dict()``), repeat_revenue (``asdict(RepeatRevenue)``),
calibration (records of ``frequency_table``), monitor (``MonitorReport.to_dict()``), plan (the
fields of a plan file without files, see ``planning``). Tables: channels and cohorts (see
``channels``), targets (customer_id, action, group, cost, expected_profit: shown with a customer).
"""

from clv.web.page.frame import Frame, Page, Room, error_page, login_page, room
from clv.web.page.routes import mount_page

__all__ = ["Frame", "Page", "Room", "error_page", "login_page", "mount_page", "room"]
