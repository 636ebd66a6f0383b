"""A provider of PO tokens like the ones that people use: it is there when its server answers ``/ping``."""

from urllib.error import URLError
from urllib.request import urlopen

from yt_dlp.extractor.youtube.pot.provider import PoTokenProvider, PoTokenResponse, register_provider


@register_provider
class FakePTP(PoTokenProvider):
    PROVIDER_VERSION = "1.2.3"
    BUG_REPORT_LOCATION = "nowhere"

    def is_available(self):
        address = self._configuration_arg("base_url", default=["http://127.0.0.1:9"])[0]
        try:
            with urlopen(f"{address}/ping", timeout=5) as answer:
                return answer.status == 200
        except URLError:
            return False

    def _real_request_pot(self, request):
        return PoTokenResponse(po_token="ZmFrZQ==")
