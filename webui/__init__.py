"""The studio: a web page that draws and answers questions about pictures, made with Gradio.

`app` builds and launches it. Each tab has a file for its layout and events and one for what it
shows, which knows no Gradio. `library` is a folder of pictures, and `libraries` says whose.
`locales` holds every word, a file a language: `texts` are the labels, `words` what is said later.
`theme` holds every colour, and `style` what it cannot say.
"""
