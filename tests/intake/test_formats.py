"""A small export of every format that is recognised, with what its few rows add up to by hand."""

import datetime as dt
import json

import pytest

from clv.intake.check import check_files
from clv.intake.formats import formats

TODAY = dt.date(2026, 1, 1)

SHOPIFY = """\
Name,Email,Financial Status,Paid at,Fulfillment Status,Currency,Subtotal,Shipping,Taxes,Total,\
Discount Amount,Created at,Lineitem quantity,Lineitem name,Lineitem price,Cancelled at,\
Refunded Amount,Outstanding Balance,Id,Source
#1001,Ann@x.com,paid,2024-01-05 10:00:00 +0100,fulfilled,EUR,50.00,5.00,9.00,55.00,0.00,\
2024-01-05 10:00:00 +0100,1,Mug,20.00,,0.00,0.00,51,web
#1001,Ann@x.com,,,,,,,,,,2024-01-05 10:00:00 +0100,1,Plate,30.00,,,,,
#1002,ann@x.com,partially_refunded,2024-07-05 10:00:00 +0200,fulfilled,EUR,80.00,0.00,9.00,80.00,\
0.00,2024-07-05 10:00:00 +0200,1,Pan,80.00,,30.00,0.00,52,web
#1003,bob@x.com,paid,2024-02-01 10:00:00 +0100,fulfilled,EUR,20.00,0.00,3.00,20.00,0.00,\
2024-02-01 10:00:00 +0100,1,Mug,20.00,,0.00,0.00,53,pos
#1004,bob@x.com,refunded,2024-03-01 10:00:00 +0100,fulfilled,EUR,20.00,0.00,3.00,20.00,0.00,\
2024-03-01 10:00:00 +0100,1,Mug,20.00,2024-03-02 10:00:00 +0100,20.00,0.00,54,web
#1005,bob@x.com,expired,,,EUR,77.00,0.00,3.00,77.00,0.00,\
2024-03-03 10:00:00 +0100,1,Mug,77.00,,0.00,77.00,55,web
"""
WOOCOMMERCE_ORDERS = """\
Order Number,Order Status,Order Date,First Name (Billing),Email (Billing),Customer User ID,\
Order Subtotal Amount,Order Shipping Amount,Order Refund Amount,Order Total Amount,SKU,Item #,\
Item Name,Quantity (- Refund),Item Cost
201,Completed,2024-01-05 10:00,Ann,ann@x.com,7,50.00,5.00,0.00,50.00,MUG,1,Mug,1,20.00
201,Completed,2024-01-05 10:00,Ann,ann@x.com,7,50.00,5.00,0.00,50.00,PLATE,2,Plate,2,15.00
202,Processing,2024-02-05 10:00,Bob,BOB@x.com,0,30.00,0.00,10.00,30.00,MUG,1,Mug,1,30.00
203,Cancelled,2024-02-06 10:00,Bob,bob@x.com,0,99.00,0.00,0.00,99.00,MUG,1,Mug,1,99.00
204,Refunded,2024-02-07 10:00,Bob,bob@x.com,0,44.00,0.00,44.00,44.00,MUG,1,Mug,1,44.00
205,On hold,2024-02-08 10:00,Cy,cy@x.com,0,12.00,0.00,0.00,12.00,MUG,1,Mug,1,12.00
"""
WOOCOMMERCE_ANALYTICS = """\
Date,Order #,N. Revenue,N. Revenue (formatted),Status,Customer,Customer type,Product(s),Items sold,\
Coupon(s),Attribution
2024-01-05 10:00:00,301,40.5,€40.50,completed,Ann Smith,new,1× Mug,1,,Organic
2024-02-05 10:00:00,302,60,€60.00,processing,Ann Smith,returning,2× Mug,2,,Direct
2024-02-06 10:00:00,303,80,€80.00,cancelled,Bob Jones,new,2× Mug,2,,Direct
2024-02-07 10:00:00,304,9.5,€9.50,completed,Bob Jones,new,1× Mug,1,,Direct
"""
MAGENTO = """\
"ID","Purchase Point","Purchase Date","Bill-to Name","Ship-to Name","Grand Total (Base)",\
"Grand Total (Purchased)","Status","Customer Email","Payment Method","Total Refunded"
"000000101","Main Website
    Main Website Store
        Default Store View","Jan 5, 2024 1:05:12 PM","Ann","Ann","$1,234.50","$1,234.50",\
"Complete","ann@x.com","checkmo","$0.00"
"000000102","Main Website
    Main Website Store
        Default Store View","Feb 5, 2024 1:05:12 AM","Ann","Ann","$100.00","$100.00",\
"Complete","ann@x.com","checkmo","$25.00"
"000000103","Main Website","Feb 6, 2024 1:05:12 AM","Bob","Bob","$60.00","$60.00",\
"Closed","bob@x.com","checkmo","$60.00"
"000000104","Main Website","Feb 7, 2024 1:05:12 AM","Bob","Bob","$70.00","$70.00",\
"Holded","bob@x.com","checkmo",""
"000000105","Main Website","Feb 8, 2024 1:05:12 AM","Bob","Bob","$15.50","$15.50",\
"Processing","bob@x.com","checkmo",""
"000000106","Main Website","Feb 9, 2024 1:05:12 AM","Bob","Bob","$99.00","$99.00",\
"Canceled","bob@x.com","checkmo",""
"""
STRIPE_PAYMENTS = """\
id,Created date (UTC),Amount,Amount Refunded,Currency,Captured,Converted Amount,\
Converted Amount Refunded,Converted Currency,Description,Fee,Status,Customer ID,Customer Email
ch_1,2024-01-05 10:00:00,10.00,0.00,usd,true,9.20,0.00,eur,Mug,0.5,Paid,cus_A,ann@x.com
ch_2,2024-02-05 10:00:00,40.00,10.00,eur,true,40.00,10.00,eur,Pan,0.5,Paid,cus_A,ann@x.com
ch_3,2024-02-06 10:00:00,5000,0,jpy,true,30.80,0.00,eur,Mug,0.5,Paid,cus_B,bob@x.com
ch_4,2024-02-07 10:00:00,40.00,0.00,eur,false,40.00,0.00,eur,Pan,0.5,Failed,cus_B,bob@x.com
ch_5,2024-02-08 10:00:00,40.00,40.00,eur,true,40.00,40.00,eur,Pan,0.5,Refunded,cus_B,bob@x.com
"""
PAYPAL = """\
"Date","Time","TimeZone","Name","Type","Status","Currency","Gross","Fee","Net",\
"From Email Address","To Email Address","Transaction ID","Reference Txn ID"
"01/15/2024","10:00:00","PST","Ann","Express Checkout Payment","Completed","USD","50.00","-1.75",\
"48.25","ann@x.com","shop@y.com","T1",""
"02/15/2024","10:00:00","PST","Bob","Website Payment","Completed","USD","1,030.00","-1.75",\
"1,028.25","bob@x.com","shop@y.com","T2",""
"02/20/2024","10:00:00","PST","Bob","Payment Refund","Completed","USD","-30.00","0.00","-30.00",\
"shop@y.com","bob@x.com","T3","T2"
"02/25/2024","10:00:00","PST","","General Withdrawal","Completed","USD","-900.00","0.00","-900.00",\
"shop@y.com","","T4",""
"02/26/2024","10:00:00","PST","Cy","Express Checkout Payment","Denied","USD","70.00","0.00",\
"70.00","cy@x.com","shop@y.com","T5",""
"""
SQUARE = """\
Date,Time,Time Zone,Gross Sales,Discounts,Net Sales,Tax,Tip,Total Collected,Source,Transaction ID,\
Payment ID,Event Type,Location,Customer ID,Customer Name
01/15/24,10:00:00,Eastern,"$1,200.00",$0.00,"$1,200.00",$96.00,$0.00,"$1,296.00",POS,T1,P1,Payment,\
Main,C1,Ann
01/16/24,11:00:00,Eastern,$30.00,($5.00),$25.00,$2.00,$3.00,$30.00,POS,T2,P2,Payment,Main,C2,Bob
01/20/24,11:00:00,Eastern,($200.00),$0.00,($200.00),($16.00),$0.00,($216.00),POS,T1,P3,Refund,\
Main,C1,Ann
"""
AMAZON_EN = """\
amazon-order-id\tpurchase-date\tbuyer-email\tsku\tproduct-name\tquantity-shipped\tcurrency\t\
item-price\titem-tax\tsales-channel
111-1\t2024-01-05T10:00:00+00:00\ta@marketplace.amazon.com\tMUG\tMug\t2\tGBP\t40.00\t8.00\tamazon.co.uk
111-1\t2024-01-05T10:00:00+00:00\ta@marketplace.amazon.com\tPAN\tPan\t1\tGBP\t10.00\t2.00\tamazon.co.uk
111-2\t2024-02-05T10:00:00+00:00\tb@marketplace.amazon.com\tMUG\tMug\t1\tGBP\t20.00\t4.00\tamazon.co.uk
"""
AMAZON_DE = """\
Amazon-Bestellnummer;Kaufdatum;Käufer-E-Mail;SKU;Währung;Artikelpreis;Bestellstatus
302-1;05.01.2024 10:00;a@marketplace.amazon.de;MUG;EUR;1.040,00;Versandt
302-2;25.02.2024 10:00;b@marketplace.amazon.de;MUG;EUR;20,50;Versandt
302-3;26.02.2024 10:00;b@marketplace.amazon.de;MUG;EUR;70,00;Storniert
"""
AMAZON_FR = """\
Numéro de commande Amazon;Date d'achat;E-mail de l'acheteur;SKU;Devise;Prix de l'article;\
Statut de la commande
402-1;5 janv. 2024 10:00:00;a@marketplace.amazon.fr;MUG;EUR;40,00;Expédiée
402-2;5 févr. 2024 10:00:00;b@marketplace.amazon.fr;MUG;EUR;20,50;Expédiée
402-3;6 août 2024 10:00:00;b@marketplace.amazon.fr;MUG;EUR;70,00;Annulée
"""


def charge(number, customer, amount, currency="jpy", refunded=0, status="succeeded"):
    return {
        "id": f"ch_{number}",
        "object": "charge",
        "amount": amount,
        "amount_refunded": refunded,
        "created": 1704450600 + 86400 * number,
        "currency": currency,
        "customer": customer,
        "metadata": {},
        "status": status,
    }


YEN = [
    charge(1, "cus_A", 5000),
    charge(2, "cus_A", 700, refunded=200),
    charge(3, "cus_B", 900, status="failed"),
]
CENTS = [
    charge(1, "cus_A", 5050, "usd"),
    charge(2, "cus_B", 700, "usd", refunded=700),
    charge(3, "cus_B", 999, "usd"),
]


def event(name, day, user, transaction="", revenue=None, refund=None):
    moment = dt.datetime(2024, 1, day, 10, 30, tzinfo=dt.UTC)
    return {
        "event_date": f"202401{day:02d}",
        "event_timestamp": str(int(moment.timestamp()) * 1_000_000),
        "event_name": name,
        "event_params": [{"key": "page", "value": {"string_value": "/x"}}],
        "user_id": None,
        "user_pseudo_id": user,
        "ecommerce": {
            "purchase_revenue": revenue,
            "refund_value": refund,
            "transaction_id": transaction,
        },
        "traffic_source": {"source": "google"},
    }


GA4 = [
    event("page_view", 4, "100.1"),
    event("purchase", 5, "100.1", "G1", 40.5),
    event("view_item", 6, "100.2"),
    event("purchase", 7, "100.2", "G2", 60.0),
    event("refund", 9, "100.2", "G2", None, 10.0),
]


def track(name, day, user, order, total):
    return {
        "type": "track",
        "event": name,
        "userId": user,
        "timestamp": f"2024-01-{day:02d}T10:30:00.000Z",
        "properties": {
            "order_id": order,
            "total": total,
            "currency": "EUR",
            "products": [{"n": 1}],
        },
        "context": {"campaign": {"source": "news"}},
    }


SEGMENT = [
    track("Product Viewed", 1, "u1", None, None),
    track("Order Completed", 2, "u1", "S1", 27.5),
    track("Order Completed", 3, "u2", "S2", 30),
    track("Order Refunded", 9, "u2", "S2", 30),
    track("Order Completed", 8, "u2", "S3", 12.25),
]


def metric(name, day, profile, value, number):
    return {
        "type": "event",
        "datetime": f"2024-01-{day:02d}T10:30:00+00:00",
        "metric": {"name": name},
        "profile": {"id": profile, "email": f"{profile}@x.com"},
        "event_properties": {"$value": value, "$event_id": number, "Items": ["Mug"]},
    }


KLAVIYO = [
    metric("Placed Order", 2, "p1", 27.5, "K1"),
    metric("Placed Order", 3, "p2", 30, "K2"),
    metric("Opened Email", 4, "p2", None, "K3"),
    metric("Started Checkout", 5, "p2", 99, "K4"),
    metric("Placed Order", 6, "p2", 12.25, "K5"),
]


def lines(records):
    return "\n".join(json.dumps(record) for record in records)


# file: its text; format, currency, purchases, customers, amount
DATEV = """Umsatz (ohne Soll/Haben-Kz);Soll/Haben-Kennzeichen;Konto;Belegdatum;Belegfeld 1
100,00;S;10001;05.01.2024;R1
30,00;H;10001;09.01.2024;R1
50,00;S;10002;20.01.2024;R2
"""

EXPORTS = {
    # 55 + (80 - 30) + 20; #1004 is refunded, #1005 was never paid
    "shopify.csv": (SHOPIFY, "shopify", "EUR", 3, 2, 125.00),
    # 50 once, 30 - 10
    "woocommerce.csv": (WOOCOMMERCE_ORDERS, "woocommerce_orders", "", 2, 2, 70.00),
    "woocommerce_analytics.csv": (
        WOOCOMMERCE_ANALYTICS, "woocommerce_analytics", "", 3, 2, 110.00,
    ),
    # 1,234.50 + (100 - 25) + 15.50
    "magento.csv": (MAGENTO, "magento", "USD", 3, 2, 1325.00),
    # 9.20 + (40 - 10) + 30.80
    "stripe_payments.csv": (STRIPE_PAYMENTS, "stripe_payments", "EUR", 3, 2, 70.00),
    # 50 + (1,030 - 30): the refund names the shop as its sender
    "paypal.csv": (PAYPAL, "paypal", "USD", 2, 2, 1050.00),
    # (1,200 - 200) + 25
    "square.csv": (SQUARE, "square", "USD", 2, 2, 1025.00),
    "amazon_en.txt": (AMAZON_EN, "amazon_orders", "GBP", 2, 2, 70.00),
    "amazon_de.csv": (AMAZON_DE, "amazon_orders", "EUR", 2, 2, 1060.50),
    "amazon_fr.csv": (AMAZON_FR, "amazon_orders", "EUR", 2, 2, 60.50),
    # yen have no cents: 5,000 + (700 - 200)
    "stripe_yen.jsonl": (lines(YEN), "stripe_charges", "JPY", 2, 1, 5500.00),
    # 50.50 + 9.99, as the API answers: a list within an object
    "stripe_api.json": (
        json.dumps({"object": "list", "data": CENTS, "has_more": False}, indent=1),
        "stripe_charges", "USD", 2, 2, 60.49,
    ),
    # 40.50 + (60 - 10)
    "ga4.jsonl": (lines(GA4), "ga4", "", 2, 2, 90.50),
    # 27.50 + 12.25; the 30 went back
    "segment.json": (json.dumps(SEGMENT), "segment", "EUR", 2, 2, 39.75),
    # a credit note (H) of 30 under the first of two invoices (S)
    "datev.csv": (DATEV, "datev", "", 2, 2, 120.00),
    "klaviyo.jsonl": (lines(KLAVIYO), "segment", "", 3, 2, 69.75),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_recognised_and_read_right(name, tmp_path):
    text, format_name, *expected = EXPORTS[name]
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    intake = check_files([file], today=TODAY)
    check = intake.check
    assert intake.recipe.format == format_name
    assert [question.text for question in check.questions] == []
    assert [check.currency, check.purchases, check.customers, check.amount] == expected


def test_every_format_has_an_export_here():
    tested = {format_name for _, format_name, *_ in EXPORTS.values()}
    # the report of transactions names no customers: tests/intake/test_cases.py has it
    assert tested == set(formats()) - {"amazon_transactions"}
