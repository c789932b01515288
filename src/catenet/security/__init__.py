"""The room `security`: transport identity. Who a certificate speaks for, and the CA that makes certificates.

Vote keys are apart from it (`chain/keys.py`): an expired certificate degrades a link, it never stops a chain.
"""
