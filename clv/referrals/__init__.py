"""Customers who bring customers: who is credited with whom, at what cost; and programme members.

::

    referral_table.py   read_referrals(): each new customer credited once, loops and self named
    referral_value.py   value_referrals(): credit by the two types, reward as CAC, K-factor
    members.py          compare_members(): members against others, with selection beside it
"""
