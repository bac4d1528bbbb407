"""The API."""


def run(binary, options):
    pass
