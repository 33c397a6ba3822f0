"""Tells Grapevine of a sale, with the click that led to it. Needs Python 3.9 or newer and no package."""

import hashlib
import hmac
import json
import sys
import urllib.request
from http.cookies import SimpleCookie


def cookie(header, name):
    """The value of a cookie in a request's `Cookie` header. gv.js keeps the click in `gv_click`."""
    found = SimpleCookie(header or "").get(name)
    return found.value if found else None


def send_conversion(address, secret, order, value, cookies, user_id=None):
    """Posts the sale, signed. Send it again until it answers 200 or 202: the order's id makes sure that it counts once."""
    event = {
        "event_type": "conversion",
        "event_id": f"order-{order}",
        "order_id": order,
        "conversion_value": value,  # a decimal as text: "49.99"
        "click_id": cookie(cookies, "gv_click"),
        "user_id": user_id,
    }
    body = json.dumps({name: value for name, value in event.items() if value is not None}).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"content-type": "application/json", "x-webhook-signature": signature}
    request = urllib.request.Request(address, data=body, headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status, json.load(response)


if __name__ == "__main__":
    print(*send_conversion(*sys.argv[1:]))
