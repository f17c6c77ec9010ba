"""People with a real browser: Chromium without a window, whose console is listened to.

why_not()                 why there can be no browser here; empty where there can
Person(folder, address)   somebody who visits a site with it
"""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.served import until

BROWSER, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PASSWORD = "four unrelated words"


def why_not() -> str:
    """Why there can be no browser here; empty where there can."""
    if missing := [str(file) for file in (BROWSER, DRIVER) if not file.is_file()]:
        return f"there is no {' and no '.join(missing)}; Debian: apt-get install chromium-driver"
    if importlib.util.find_spec("selenium") is None:
        return "selenium is not installed, which drives the browser"
    return ""


class Person:
    """Somebody with a browser.

    Args:
        folder: For the profile; a new one each.
        address: Of the site.
        scripts: Whether pages may run scripts.
    """

    def __init__(self, folder: Path, address: str, *, scripts: bool = True) -> None:
        from selenium.webdriver import Chrome, ChromeOptions, ChromeService

        options = ChromeOptions()
        options.binary_location = str(BROWSER)
        for flag in (*FLAGS, f"--user-data-dir={folder}", "--window-size=1280,900"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if not scripts:
            told = {"profile.managed_default_content_settings.javascript": 2}
            options.add_experimental_option("prefs", told)
        self._address = address
        self.driver = Chrome(options=options, service=ChromeService(str(DRIVER)))

    def close(self) -> None:
        self.driver.quit()

    # --- reading ------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """Where the browser is, on this site."""
        found: str = self.driver.current_url.removeprefix(self._address)
        return found

    @property
    def text(self) -> str:
        """What the page says, as a reader sees it."""
        found: str = self.find("main").text
        return found

    def find(self, css: str) -> Any:
        """The first such element of the page."""
        return self.driver.find_element("css selector", css)

    def all(self, css: str) -> list[Any]:
        """All such elements."""
        return list(self.driver.find_elements("css selector", css))

    def rows(self, region: str) -> list[list[str]]:
        """The cells of the table with that label."""
        rows = self.all(f'[aria-label="{region}"] tbody tr')
        return [[c.text for c in row.find_elements("css selector", "th, td")] for row in rows]

    def console(self) -> list[str]:
        """What went wrong on its pages since it was asked last: scripts, forbidden loads."""
        return [line["message"] for line in self.driver.get_log("browser")]

    # --- doing --------------------------------------------------------------------------------

    def open(self, path: str) -> None:
        self.driver.get(self._address + path)
        until(lambda: self._is_there(""), path)  # its scripts have run then

    def fill(self, **fields: str) -> None:
        """Type into fields, by their names."""
        for name, value in fields.items():
            field = self.find(f"main [name={name}]")
            if field.get_attribute("type") != "file":
                field.clear()
            field.send_keys(value)

    def press(self, text: str, *, within: str = "") -> None:
        """A button by what is written on it, in a form of that action; returns on the next page."""
        form = f"//form[contains(@action, '{within}')]" if within else ""
        button = f"{form}//button[normalize-space()='{text}']"
        self.leave(self.driver.find_element("xpath", button).click)

    def unfold(self, words: str) -> None:
        """Open what is folded below a line with those words."""
        self.driver.find_element("xpath", f"//summary[contains(., '{words}')]").click()

    def type(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self) -> Any:
        """The element that keys go to."""
        return self.driver.switch_to.active_element

    def sign_up(self, organization: str, email: str) -> None:
        """Make an account and sign in with it."""
        self.open("/sign-up")
        self.fill(organization=organization, email=email, password=PASSWORD)
        self.press("Sign up")
        assert self.path == "/sign-in?done=signed-up", self.text
        self.sign_in(email)

    def sign_in(self, email: str, password: str = PASSWORD) -> None:
        self.open("/sign-in")
        self.fill(email=email, password=password)
        self.press("Sign in")

    def submit(self, track: str, file: Path, *, note: str = "") -> str:
        """Hand a file in by the form of its page; the path of the submission's page."""
        self.open(f"/tracks/{track}/submit")
        self.fill(note=note, file=str(file))
        self.press("Submit")
        until(lambda: self.path.startswith("/submissions/"), f"leaving {self.path}: {self.text}")
        return self.path.partition("?")[0]

    def new_token(self, label: str) -> str:
        """A token of the API, as the team's page shows it once."""
        self.open("/team")
        self.fill(label=label)
        self.press("Make a token")
        found: str = self.find(".secret").text
        return found

    def as_wide_as(self, pixels: int) -> None:
        """Make the page so wide; below 500 as a phone does."""
        told = {"width": pixels, "height": 844, "deviceScaleFactor": 1, "mobile": pixels < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", told)

    def picture(self) -> bytes:
        """The whole page as PNG."""
        asked = {"format": "png", "captureBeyondViewport": True}
        told = self.driver.execute_cdp_cmd("Page.captureScreenshot", asked)
        return base64.b64decode(told["data"])

    def leave(self, action: Callable[[], Any]) -> None:
        """Do what opens a page, and wait until it is there."""
        before = self.find("html").id
        action()
        until(lambda: self._is_there(before), f"the page after {self.path}")

    def shows(self, css: str, words: str) -> bool:
        """Whether the page says that there; a page that is just being opened says nothing."""
        from selenium.common.exceptions import WebDriverException

        try:
            return words in self.find(css).text
        except WebDriverException:
            return False

    def _is_there(self, before: str) -> bool:
        from selenium.common.exceptions import WebDriverException

        try:
            ready = self.driver.execute_script("return document.readyState") == "complete"
            return ready and self.find("html").id != before
        except WebDriverException:
            return False
