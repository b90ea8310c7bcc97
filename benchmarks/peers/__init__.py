"""The same work in jaxmed and in the libraries that people use today, timed side by side.

`cases` says what is compared, `work` what each side provides, `pairing` how it is timed. The peers' versions
are straightforward code of their own; each gets the best of its settings.
"""
