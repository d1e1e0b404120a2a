"""Several pictures side by side, as one."""

from PIL import Image

GAP = 32  # pixels of a picture for one pixel between two


def contact_sheet(pictures: list[Image.Image]) -> Image.Image:
    """Several equally large pictures as one, with thin gaps, in rows about as many as columns."""
    if len(pictures) == 1:
        return pictures[0]
    columns = round(len(pictures) ** 0.5 + 0.49)
    width, height = pictures[0].size
    num_rows = -(-len(pictures) // columns)
    across, down = width + width // GAP, height + height // GAP
    size = (columns * across - width // GAP, num_rows * down - height // GAP)
    sheet = Image.new("RGB", size, "white")
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (i % columns * across, i // columns * down))
    return sheet
