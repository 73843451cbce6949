"""Send a request in one write, where aiohttp takes several and a task."""

from typing import Any

import aiohttp
from aiohttp.http import StreamWriter
from multidict import CIMultiDict

__all__ = ["LeanRequest"]


class LeanRequest(aiohttp.ClientRequest):
    """A request whose head and body are sent in one write, without a task.

    aiohttp's own request is made for bodies that come in pieces, and starts a task to send them.
    That takes a tenth of the client's CPU. This one supports neither proxies nor traces.
    """

    def update_headers(self, headers: Any) -> None:
        self.headers = CIMultiDict({aiohttp.hdrs.HOST: self.url.host_port_subcomponent or ""})
        self.headers.extend(headers)

    def update_body_from_data(self, body: bytes | None, _stacklevel: int = 0) -> None:
        self._content = body or b""
        if self._content or self.method not in self.GET_METHODS:
            self.headers[aiohttp.hdrs.CONTENT_LENGTH] = str(len(self._content))

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        writer = StreamWriter(conn.protocol, self.loop)
        line = f"{self.method} {self.url.raw_path_qs} HTTP/1.1"
        await writer.write_headers(line, self.headers)
        await writer.write(self._content, drain=False)
        if conn.protocol.writing_paused:  # an answer may come before the whole request is sent
            conn.protocol.force_close()
        return self.response_class(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=[],
            loop=self.loop,
            session=self._session,
            stream_writer=writer,
        )
