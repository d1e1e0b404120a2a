"""Pictures that a camera takes, in a real browser whose camera is made up."""

import base64
import io
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from tests.webui.conftest import BROWSERS, FLAGS, PATIENCE, Open
from webui.locale import TAGS, locale

pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
from playwright.sync_api import Page, expect, sync_playwright

from tests.webui.test_ask_tab import finish

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HAS_CAMERA = "--use-fake-device-for-media-stream"
MAY_USE_IT = "--use-fake-ui-for-media-stream"
FREEZE = """(video) => {
    video.pause();
    window.tracks = video.srcObject.getTracks();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    return canvas.toDataURL();
}"""
ENDED = "tracks.every((track) => track.readyState == 'ended')"
ANYWHERE = "Object.defineProperty(window, 'isSecureContext', {value: false})"


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> "Iterator[Browser]":
    """With these flags besides the usual ones."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("needs Chromium or Chrome")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*FLAGS, *request.param])
        yield browser
        browser.close()


with_camera = pytest.mark.parametrize("browser", [(HAS_CAMERA, MAY_USE_IT)], indirect=True)


@with_camera
def test_pictures_are_taken_as_they_are_and_asked_about(page: Page):
    open_camera(page)
    seen = page.locator("#camera video").evaluate(FREEZE)
    page.locator("#take-picture").click()
    expect(page.locator("#camera")).to_be_hidden()
    expect(page.locator("#pictures img")).to_have_count(1)
    with urlopen(str(page.locator("#pictures img").get_attribute("src"))) as file:
        taken = Image.open(file).convert("RGB")
    frame = Image.open(io.BytesIO(base64.b64decode(seen.partition(",")[2]))).convert("RGB")
    assert difference(taken, frame) < 3 < difference(taken, ImageOps.mirror(frame))
    page.wait_for_function(ENDED)
    page.get_by_label("Question").fill("What is it?")
    page.locator("#ask").click()
    expect(page.locator("#chat img")).to_have_count(1)
    expect(page.locator("#chat [data-testid=bot]")).to_be_visible()
    finish(page)
    page.get_by_role("button", name="Camera", exact=True).click()  # another one, beside the first
    page.locator("#take-picture:enabled").click()
    expect(page.locator("#pictures img")).to_have_count(2)


@with_camera
def test_the_camera_is_off_once_its_window_is_closed(page: Page):
    open_camera(page)
    page.locator("#camera video").evaluate(FREEZE)
    page.keyboard.press("Escape")
    expect(page.locator("#camera")).to_be_hidden()
    page.wait_for_function(ENDED)
    expect(page.get_by_role("button", name="Drop")).to_be_visible()
    open_camera(page)


@with_camera
@pytest.mark.parametrize("tag", TAGS)
def test_it_speaks_the_language_and_fits_a_phone(open_page: Open, tag: str):
    page, said = open_page(width=360, language=tag), locale(tag).texts
    open_camera(page)
    expect(page.get_by_role("dialog", name=said["ask.camera"])).to_be_visible()
    buttons = page.locator("#camera button")
    expect(buttons).to_have_text([said["close"], said["ask.camera.take"]])
    box = page.locator("#camera").bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 360


@pytest.mark.parametrize(
    ("browser", "trouble"), [((), "missing"), ((HAS_CAMERA,), "refused")], indirect=["browser"]
)
def test_it_says_why_there_is_no_picture(page: Page, trouble: str):
    open_camera(page, works=False)
    expect(page.locator("#camera [role=status]")).to_have_text(
        locale("en").texts[f"ask.camera.{trouble}"]
    )
    expect(page.locator("#take-picture")).to_be_disabled()


@pytest.mark.parametrize("browser", [()], indirect=True)
def test_it_says_where_cameras_work(page: Page):
    page.evaluate(ANYWHERE)  # as on another address of a network
    open_camera(page, works=False)
    expect(page.locator("#camera [role=status]")).to_have_text(
        locale("en").texts["ask.camera.insecure"]
    )


def open_camera(page: Page, *, works: bool = True) -> None:
    page.get_by_role("tab").nth(1).click()
    page.locator("#pictures [aria-label='Capture from camera']").click()
    expect(page.locator("#camera")).to_be_visible()
    if works:
        expect(page.locator("#take-picture")).to_be_focused()
        page.wait_for_function("document.querySelector('#camera video').videoWidth")


def difference(a: Image.Image, b: Image.Image) -> float:
    assert a.size == b.size
    return sum(ImageStat.Stat(ImageChops.difference(a, b)).mean)
