// placeholder, written by its owner
export {}
