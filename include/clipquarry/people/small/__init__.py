"""The detector ``small``: NanoDet-g of a registry package, converted here and run by OpenCV."""
