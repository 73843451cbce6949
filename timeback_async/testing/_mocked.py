"""What aioresponses needs to build the answers of the current aiohttp."""

from typing import Any
from unittest.mock import Mock

from aiohttp import ClientResponse

__all__ = ["MockedResponse"]


class MockedResponse(ClientResponse):
    """A response for aioresponses 0.7.9, which knows nothing of a part that aiohttp 3.14 needs.

    mocked.put(url, payload={"student": {…}}, response_class=MockedResponse)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"stream_writer": Mock(output_size=0), **kwargs})
