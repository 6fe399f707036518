# ruff: noqa: E501 - what runs in the page stays on one line
"""The desk in a real Chromium: signing in, the live board, a case judged by keyboard alone, axe, both languages.

The README's pictures are made here too, into ``tests/web/pictures/``.
"""

import json
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import world

pytest.importorskip("selenium")

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
DRIVER = shutil.which("chromedriver") or ""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="Chromium and its driver are not installed"),
]

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
PICTURES = Path(__file__).parent / "pictures"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

INK = "const c = document.getElementById('wave'); return new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"


def chromium(*, script=True):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--autoplay-policy=no-user-gesture-required",
        "--mute-audio",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not script:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_window_size(1440, 900)
    return driver


@pytest.fixture(scope="module")
def driver():
    made = chromium()
    yield made
    made.quit()


@pytest.fixture
def page(driver, house):
    driver.delete_all_cookies()
    made = Page(driver, house)
    driver.get(house.url + "/sign-in")
    yield made
    faults = [
        one
        for one in driver.get_log("browser")
        if one["level"] == "SEVERE" and not any(code in one["message"] for code in ("401", "409"))
    ]
    assert not [one for one in faults if "favicon" not in one["message"]], faults


class Page:
    """What a person does with a page."""

    def __init__(self, driver, house):
        self.driver, self.house = driver, house

    def enter(self, name, *, language="en", theme="light"):
        for cookie, value in (("callguard_language", language), ("callguard_theme", theme)):
            self.driver.add_cookie({"name": cookie, "value": value})
        self.driver.get(self.house.url + "/sign-in")
        self.driver.switch_to.active_element.send_keys(name, Keys.TAB, world.PASSWORD, Keys.ENTER)
        self.until(lambda: "/sign-in" not in self.driver.current_url)

    def go(self, path):
        self.house.tell(world.health())
        self.driver.get(self.house.url + path)

    def until(self, holds, seconds=10):
        between = [StaleElementReferenceException]  # one page goes, the next comes
        return WebDriverWait(self.driver, seconds, 0.02, ignored_exceptions=between).until(lambda _: holds())

    def find(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    @property
    def focus(self):
        return self.driver.switch_to.active_element

    @property
    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def axe(self):
        self.driver.execute_script(AXE)
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {runOnly: {type: 'tag', values: arguments[0]}}).then(r => done(r.violations));", TAGS)  # fmt: skip
        return [(one["id"], [node["html"][:160] for node in one["nodes"]][:3]) for one in found]


def test_signing_in_by_keyboard_and_a_wrong_password(page):
    page.driver.switch_to.active_element.send_keys("mori", Keys.TAB, "wrong", Keys.ENTER)
    page.until(lambda: page.find("[role=alert]"))
    assert page.focus.get_attribute("name") == "password"
    page.focus.send_keys(world.PASSWORD, Keys.ENTER)
    page.until(lambda: "/cases" in page.driver.current_url)


def test_the_board_moves_by_itself_and_keeps_focus(page):
    page.enter("mori")
    page.go("/board")
    page.until(lambda: len(page.find(".call")) >= 8)
    row = page.find('[data-call="1764500000.6"]')[0]
    button = row.find_element(By.CSS_SELECTOR, 'button[value="whisper"]')
    page.driver.execute_script("arguments[0].focus()", button)
    began = time.perf_counter()
    page.house.tell(world.row(301, agent_name="New Agent", level=3, why="a threat just now"))
    page.until(lambda: "a threat just now" in page.text, 3)
    took = time.perf_counter() - began
    page.house.tell(
        world.row(
            6, agent_name="鈴木 健", seconds=99, language="ja", last_words="言葉が変わりました", queue="support", rung=1
        )
    )
    page.until(lambda: "言葉が変わりました" in page.text, 3)
    focused = page.focus
    assert focused.get_attribute("value") == "whisper"
    assert focused.find_element(By.XPATH, "./ancestor::li").get_attribute("data-call") == "1764500000.6"
    assert took < 1.0
    print(json.dumps({"figure": "new row in Chromium", "ms": round(took * 1000)}))


def test_the_most_urgent_call_stands_first_once_hands_are_off(page):
    page.enter("mori")
    page.go("/board")
    page.until(lambda: len(page.find(".call")) >= 8)
    page.house.tell(world.row(302, agent_name="Urgent Agent", level=3, flagged=True, seconds=5000))
    page.until(lambda: any("Urgent Agent" in one.text for one in page.find(".call")[:3]), 5)
    page.house.tell(world.row(302, agent_name="Urgent Agent", ended=True))
    page.until(lambda: "ended" in page.find('[data-call="1764500000.302"]')[0].get_attribute("class"), 5)


def test_an_order_that_the_caller_hears_asks_first(page):
    page.enter("mori")
    page.go("/board")
    row = page.until(lambda: page.find('[data-call="1764500000.4"]'))[0]
    row.find_element(By.CSS_SELECTOR, ".rest > summary").click()
    row.find_element(By.CSS_SELECTOR, 'button[value="barge"]').click()
    assert "The caller will hear you." in page.driver.find_element(By.ID, "sure").text
    page.press(Keys.ESCAPE)
    page.until(lambda: not page.find("dialog[open]"))


def test_the_board_is_a_plain_list_without_script(house):
    driver = chromium(script=False)
    try:
        page = Page(driver, house)
        driver.get(house.url + "/sign-in")
        page.enter("mori")
        page.go("/board")
        assert "Kato Yui" in page.text and page.find('noscript, meta[http-equiv="refresh"]')
        row = page.find('[data-call="1764500000.4"]')[0]
        row.find_element(By.CSS_SELECTOR, ".rest > summary").click()
        row.find_element(By.CSS_SELECTOR, 'button[value="end"]').click()
        page.until(lambda: "The caller hears the closing message" in page.text)
    finally:
        driver.quit()


def test_a_case_is_judged_by_keyboard_alone(page):
    case = world.add_case(page.house.store, 701, at=datetime.now(UTC) + timedelta(minutes=1), sound=True)
    page.enter("lee")
    page.press("g", "c")
    page.until(lambda: page.find("table.cases"))
    page.press("j")
    assert page.focus.text == case
    page.press(Keys.ENTER)
    page.until(lambda: page.find("#judge"))
    page.press(" ")
    page.until(lambda: page.driver.execute_script("return !document.getElementById('audio').paused"))
    page.press("l")
    page.until(lambda: page.driver.execute_script("return document.getElementById('audio').currentTime > 4.5"))
    page.press(" ", "]")
    assert page.driver.execute_script("return document.getElementById('audio').playbackRate") == 1.25
    page.press("3", "6", "c")
    ActionChains(page.driver).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(Keys.CONTROL).perform()
    page.until(lambda: page.find("[data-undo]"))
    assert page.house.desk.reviews.standing(case).decision == "confirmed"
    page.press("u")
    page.until(lambda: page.house.desk.reviews.standing(case).decision == "")
    page.until(lambda: not page.find("[data-undo]"))


def test_two_yeses_cannot_be_harassment(page):
    case = world.add_case(page.house.store, 702, at=datetime.now(UTC) - timedelta(minutes=2))
    page.enter("lee")
    page.go(f"/cases/{case}")
    page.press("1", "4")
    assert page.driver.find_element(By.ID, "fair").is_displayed()
    assert not page.driver.find_element(By.CSS_SELECTOR, '[name="decision"][value="confirmed"]').is_enabled()


def test_lines_seek_and_the_wave_is_drawn(page):
    page.enter("mori")
    page.go(f"/cases/{page.house.cases[0]}")
    line = page.find(".bubble[data-at]")[5]
    line.click()
    at = int(line.get_attribute("data-at")) / 1000
    page.until(lambda: page.driver.execute_script("return document.getElementById('audio').currentTime") >= at - 0.1)
    page.until(lambda: page.find(".bubble.now"))
    page.until(lambda: page.driver.execute_script(INK) > 8)
    page.driver.execute_script("document.getElementById('audio').pause()")


def test_keys_belong_to_the_input_method_while_it_composes(page):
    page.enter("mori")
    page.go("/cases?tab=all")
    before = page.driver.current_url
    page.driver.execute_script(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '?', isComposing: true, bubbles: true}));"
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'Process', keyCode: 229, bubbles: true}));")  # fmt: skip
    assert page.driver.current_url == before
    page.press("/")
    assert page.focus.get_attribute("name") == "words"
    page.focus.send_keys("?gc土下座")
    assert page.driver.current_url == before and page.focus.get_attribute("value") == "?gc土下座"


def test_filters_stand_in_the_address(page):
    page.enter("mori")
    page.go("/cases?tab=all")
    page.press("/")
    page.focus.send_keys("土下座", Keys.ENTER)
    page.until(lambda: "words=" in page.driver.current_url and page.find("table.cases"))
    assert page.house.cases[1] in page.text and page.house.cases[0] not in page.text
    page.driver.back()
    page.until(lambda: page.house.cases[0] in page.text)


EVERY_PAGE = (
    "/sign-in",
    "/board",
    "/board?wall=true",
    "/board/calls/1764500000.1",
    "/cases?tab=all",
    "/cases/{case}",
    "/reports",
    "/proof",
    "/admin",
    "/admin/audit",
    "/account",
    "/help",
)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_axe_finds_nothing(page, language, theme):
    page.house.desk.accounts.change("root", roles=["admin", "supervisor", "reviewer", "care", "data-protection"])
    page.enter("root", language=language, theme=theme)
    found = {}
    for path in EVERY_PAGE:
        page.go(path.format(case=page.house.cases[0]))
        page.until(lambda: page.driver.execute_script("return document.readyState") == "complete")
        if violations := page.axe():
            found[path] = violations
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_at_twice_the_size_nothing_runs_out_of_the_page(page, path):
    page.enter("root")
    page.driver.set_window_size(700, 900)  # 1400 px at 200 %
    try:
        page.go(path.format(case=page.house.cases[0]))
        wide = page.driver.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0
    finally:
        page.driver.set_window_size(1440, 900)


def test_without_motion_nothing_moves(page):
    page.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    )
    try:
        page.enter("mori")
        page.go("/board")
        page.until(lambda: page.find(".call"))
        moving = "return [...document.querySelectorAll('*')].filter(n => getComputedStyle(n).animationName !== 'none' || parseFloat(getComputedStyle(n).transitionDuration) > 0).length"
        assert page.driver.execute_script(moving) == 0
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def has_japanese_letters():
    listed = subprocess.run(["fc-list", ":lang=ja"], capture_output=True, text=True, check=False)
    return bool(listed.stdout.strip())


@pytest.mark.skipif(not has_japanese_letters(), reason="no font with Japanese letters")
@pytest.mark.parametrize("language", ["en", "ja"])
def test_pictures_for_the_readme(page, language, request):
    if request.config.getoption("collectonly", default=False):
        pytest.skip("only listed")
    PICTURES.mkdir(exist_ok=True)
    page.enter("root", language=language)
    page.house.tell(world.row(301, ended=True), *page.house.rows())
    for name, path in {
        "board": "/board",
        "case": "/cases/{case}",
        "cases": "/cases?tab=all",
        "reports": "/reports",
    }.items():
        case = page.house.cases[1 if language == "ja" else 0]
        page.go(path.format(case=case))
        page.until(lambda: page.driver.execute_script("return document.readyState") == "complete")
        if name == "case":
            page.until(lambda: page.driver.execute_script(INK) > 8)
        if name == "board":
            page.until(lambda: len(page.find(".call")) >= 8)
        file = PICTURES / f"{name}-{language}.png"
        assert page.driver.save_screenshot(str(file))
        assert file.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and file.stat().st_size > 20_000
