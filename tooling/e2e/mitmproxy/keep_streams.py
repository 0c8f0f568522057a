"""For mitmdump: passes event streams on as they come, and keeps them in the flow.

Without it mitmproxy holds a stream back until it has ended, and a flow of one that is passed on has no body.
"""


class KeepStreams:
    def responseheaders(self, flow):
        if not flow.response.headers.get("content-type", "").startswith("text/event-stream"):
            return
        kept = flow.metadata["kept"] = []

        def keep(chunk):
            kept.append(chunk)
            return chunk

        flow.response.stream = keep

    def response(self, flow):
        kept = flow.metadata.pop("kept", None)
        if kept is not None:
            flow.response.raw_content = b"".join(kept)

    def error(self, flow):
        kept = flow.metadata.pop("kept", None)
        if kept is not None and flow.response is not None:
            flow.response.raw_content = b"".join(kept)


addons = [KeepStreams()]
