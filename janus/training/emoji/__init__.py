"""The emoji world: small pictures of known objects, and the sentences that are true of them.

`sprites` holds the drawings, `scenes` places and renders them, `language` talks about them.
Everything random comes from the caller's generator, so one seed is one data set.
"""
