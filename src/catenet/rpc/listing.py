"""The page at `/`: every method with its parameters, as links."""

from html import escape

from catenet.rpc.routes import ROUTES


def page(host: str) -> bytes:
    """Return the page for whoever called at `host`."""
    bare = [name for name, route in ROUTES.items() if not route.parameters and not route.websocket_only]
    rest = [name for name, route in ROUTES.items() if route.parameters and not route.websocket_only]
    return "".join(
        (
            "<html><body><br>Available endpoints:<br>",
            *(_link(host, name) for name in sorted(bare)),
            "<br>Endpoints that require arguments:<br>",
            *(_link(host, name) for name in sorted(rest)),
            "</body></html>",
        )
    ).encode()


def _link(host: str, name: str) -> str:
    parameters = "&".join(f"{parameter.name}=_" for parameter in ROUTES[name].parameters)
    link = escape(f"//{host}/{name}" + (f"?{parameters}" if parameters else ""))
    return f'<a href="{link}">{link}</a></br>'
